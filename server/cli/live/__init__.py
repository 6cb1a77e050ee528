"""The cluster live in a terminal, from the HTTP API alone: `ringfence top` and `ringfence tasks --watch`.

Threads read (readers.py) and lay what they get into one mailbox; the main thread folds it
into a picture (picture.py, pure), draws that (cluster_view.py, pure) and obeys the keys.
So neither a service that hangs nor one that has gone keeps a key from working.
"""
