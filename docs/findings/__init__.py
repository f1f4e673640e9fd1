"""The page of each finding, which the window opens; installed as ``modelight.finding_pages``."""
