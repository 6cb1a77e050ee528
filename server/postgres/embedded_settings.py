"""Settings of the embedded PostgreSQL, written into the data folder at each start."""

TEXT = """\
# Written anew at each start of ringfence: your own settings belong into
# postgresql.conf, below the line that includes this file.

# Only by its socket: no TCP port, so nobody from outside and no port to clash.
listen_addresses = ''
unix_socket_permissions = 0700

# Six nodes with a handful each, a connection for each job that runs, and people.
# An unused place costs a few KiB.
max_connections = 200
superuser_reserved_connections = 5

# For a small machine. What it caches beyond this, the system caches.
shared_buffers = 128MB
effective_cache_size = 1GB
# Three I/O workers less; they pay on large reads from slow disks.
io_method = sync
random_page_cost = 1.1

# An answer of success means that it is on the disk.
fsync = on
synchronous_commit = on
full_page_writes = on
wal_compression = on
max_wal_size = 1GB
checkpoint_timeout = 15min
# After a kill, one call for the whole file system instead of one for each of a thousand
# files: seconds less until the database is back. Linux reports its errors from 5.8 on.
recovery_init_sync_method = syncfs

timezone = 'UTC'
log_timezone = 'UTC'
cluster_name = 'ringfence'

# To standard error, which supervisord or `ringfence db start` puts into var/log.
log_destination = 'stderr'
logging_collector = off
log_checkpoints = off
log_line_prefix = '%m [%p] %q%u %a '
"""
