"""Reports are single HTML pages that print, read without a mouse, and fetch nothing."""
