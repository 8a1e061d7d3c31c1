"""All rows of a shard at once, each as the scalar code finds it; what is rare is asked of that."""
