"""What is said of a result: intervals, published rows beside it, best and worst queries, comparison of two results."""
