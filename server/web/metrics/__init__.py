"""The figures of a node for Prometheus: who collects what, and what each means."""
