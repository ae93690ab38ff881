"""Diagnosis: captures read to exact numbers, and from these to causes with evidence for and against."""
