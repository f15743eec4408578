//! What a frame is.

use std::fmt;

macro_rules! tags {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $word:literal;)*) => {
        /// What a frame is. The frames of compression are missing: they come only after both ends have announced that they
        /// compress, which ringbd does not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Tag {
            $($(#[$doc])* $name,)*
        }

        impl Tag {
            /// Its number on the wire.
            pub const fn number(self) -> u8 {
                match self {
                    $(Tag::$name => $number,)*
                }
            }

            /// The tag with that number, if ringbd knows it.
            pub const fn from_number(number: u8) -> Option<Tag> {
                match number {
                    $($number => Some(Tag::$name),)*
                    _ => None,
                }
            }

            /// Its name in the protocol.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Tag::$name => $word,)*
                }
            }
        }
    };
}

tags! {
    /// Who I am, and where I see you.
    Hello = 1, "HELLO";
    /// How the client wants to authenticate.
    AuthRequest = 2, "AUTH_REQUEST";
    /// Not like this.
    AuthBadMethod = 3, "AUTH_BAD_METHOD";
    /// The server wants to hear more.
    AuthReplyMore = 4, "AUTH_REPLY_MORE";
    /// The client says more.
    AuthRequestMore = 5, "AUTH_REQUEST_MORE";
    /// The client is who it says.
    AuthDone = 6, "AUTH_DONE";
    /// A signature over all that was received so far.
    AuthSignature = 7, "AUTH_SIGNATURE";
    /// The client's addresses and features.
    ClientIdent = 8, "CLIENT_IDENT";
    /// The server's addresses and features.
    ServerIdent = 9, "SERVER_IDENT";
    /// Features that the client lacks.
    IdentMissingFeatures = 10, "IDENT_MISSING_FEATURES";
    /// A session is to go on over this connection.
    SessionReconnect = 11, "SESSION_RECONNECT";
    /// The session is gone.
    SessionReset = 12, "SESSION_RESET";
    /// Another connection of the session is newer.
    SessionRetry = 13, "SESSION_RETRY";
    /// Another connection of the client is newer.
    SessionRetryGlobal = 14, "SESSION_RETRY_GLOBAL";
    /// The session goes on.
    SessionReconnectOk = 15, "SESSION_RECONNECT_OK";
    /// The peer is connecting to us at the same time.
    Wait = 16, "WAIT";
    /// A message.
    Message = 17, "MESSAGE";
    /// Are you there?
    Keepalive2 = 18, "KEEPALIVE2";
    /// Yes.
    Keepalive2Ack = 19, "KEEPALIVE2_ACK";
    /// Messages arrived up to here.
    Ack = 20, "ACK";
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
