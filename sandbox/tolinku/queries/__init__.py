"""The query endpoints of seed 003, each computed from the events that arrived and count.

What holds for all of them, where the seed leaves it open: a report covers whole days (`period`); revenue is what
purchases brought, before refunds, in the base currency, each order rounded to its minor unit, so that every way to
break it down adds up to the overview's `total_revenue`; an order is a purchase; percentages have one decimal and are
0 where there is nothing to divide by; lists begin with what brought the most.
"""
