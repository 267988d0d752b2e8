"""How a vector is made for a session: what it takes, the pairs and answers, the file and its controls."""
