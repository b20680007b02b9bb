"""The people who operate Redrive: who they are, what they may do, and what they did."""
