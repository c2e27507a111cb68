"""Real parts that the tests run against: other people's servers, each in a process of its own."""
