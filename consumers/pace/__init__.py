"""When a storefront's next request may go out."""
