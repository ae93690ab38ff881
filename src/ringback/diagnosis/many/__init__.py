"""Many calls: what stands out among them, by whom and when, with how surely; and whether it got better."""
