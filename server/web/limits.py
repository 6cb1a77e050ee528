"""How much a client may send.

How slowly it may, and over how many connections, is set: http.* in config.yaml.
"""

HEAD_BYTES_MAX = 32 * 1024
"""All headers together; a request with more gets an answer that says so."""
HEAD_LINES_MAX = 100
HEAD_BYTES_READ_MAX = 256 * 1024
"""Where reading ends, and the connection with it: nobody sends that by mistake."""
BUFFER_BYTES_MAX = 1024 * 1024
"""What is held of one connection before it is read."""
