"""Gateways of others' making, to be measured beside ours."""
