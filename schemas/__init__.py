"""Tables, ids, outcomes and protocols that every other package of Lensmith stands on."""
