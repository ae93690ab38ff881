"""Causes of bad calls as models: each draws a call and makes it bad the way the cause does."""
