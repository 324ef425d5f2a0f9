"""The panes of the main screen and the bars around them."""
