"""The operator's console: from red to green in a browser."""
