"""Files that set desk phones up: what a phone is told, by the templates of its family."""
