"""Rule bundles as CDS Hooks services: discovery, prefetch, cards, critique of orders, feedback."""
