"""`sluice up --demo`: a day of made-up shop traffic, and what came of it."""
