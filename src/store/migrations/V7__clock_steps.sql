-- Where the clock was set back along the log: the seq of the first event after it. Between two of them times are in order.
CREATE TABLE clock_steps (seq INTEGER PRIMARY KEY) STRICT;
