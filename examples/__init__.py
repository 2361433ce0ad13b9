"""A made-up shop: a seeded generator of days of traffic, and what each day must come to."""
