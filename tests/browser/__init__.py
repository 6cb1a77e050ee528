"""The page in a real browser, against a real cluster: one of each for all of these tests."""
