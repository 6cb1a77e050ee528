"""`python -m server` is the same as `ringfence`."""

from server.cli import main

if __name__ == "__main__":
    main()
