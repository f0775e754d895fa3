//! The name of the socket.

/// Part of the name of the socket file, `.s.PGSQL.5432`. Nothing listens on a TCP port.
pub(crate) const PORT: u16 = 5432;
