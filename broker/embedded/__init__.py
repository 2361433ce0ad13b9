"""The log on one machine: two SQLite files in a data directory that several processes share.

`events.db` holds the topics `ecommerce.*`, `exports.db` all others, each with its groups' offsets; no transaction spans both.
Appends are group-committed by one thread per process and file, with `synchronous=FULL`. POSIX only, and only on local disks.
"""
