//! Code signatures: from bytes to facts and problems, without any I/O.
