//! What both ends of a handshake have in common: the bytes on the line, in both directions, and the record of them.

use super::HandshakeError;
use super::transcript::{Awaited, Transcript};
use crate::auth::{ConMode, ConnectionSecret, SessionSecrets};
use crate::codec::Encoder;
use crate::msgr2::{Banner, Control, Frame, FrameLimits, FrameReader, NoLanding, Opener, Sealer, Tag};
use zeroize::Zeroize;

/// The bytes on the line.
#[derive(Debug)]
pub(super) struct Line {
    sealer: Sealer,
    reader: FrameReader<Vec<u8>>,
    /// What of the peer's banner has arrived.
    banner: Vec<u8>,
    out: Vec<u8>,
    /// Everything so far, until it is signed.
    transcript: Option<Transcript>,
}

impl Line {
    /// A line on which our banner is on its way.
    pub(super) fn new() -> Line {
        let banner = Encoder::to_vec(|e| Banner::OURS.encode(e));
        let mut transcript = Transcript::default();
        transcript.note_sent(&banner).expect("a banner is short");
        Line {
            sealer: Sealer::crc(),
            reader: FrameReader::new(Opener::crc(), FrameLimits::HANDSHAKE),
            banner: Vec::new(),
            out: banner,
            transcript: Some(transcript),
        }
    }

    /// What is to be sent.
    pub(super) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Sends a frame.
    pub(super) fn send(&mut self, control: &Control<'_>) -> Result<(), HandshakeError> {
        let start = self.out.len();
        self.sealer.control(&mut self.out, control)?;
        match &mut self.transcript {
            Some(transcript) => transcript.note_sent(&self.out[start..]),
            None => Ok(()),
        }
    }

    /// The peer's banner, once it is whole; it is one that ringbd can talk to.
    pub(super) fn receive_banner(&mut self, input: &mut &[u8]) -> Result<Option<Banner>, HandshakeError> {
        while let Some((&byte, rest)) = input.split_first() {
            self.banner.push(byte);
            *input = rest;
            let decoded = Banner::decode(&self.banner).map_err(|error| match error {
                HandshakeError::NotCeph { .. } => not_ceph(&self.banner, rest),
                other => other,
            });
            if let Some((banner, _)) = decoded? {
                banner.check()?;
                let received = std::mem::take(&mut self.banner);
                self.note_received(&received)?;
                return Ok(Some(banner));
            }
        }
        Ok(None)
    }

    /// The next frame.
    pub(super) fn receive<'s, 'i: 's>(
        &'s mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Control<'s>>, HandshakeError> {
        let before = *input;
        let frame = self.reader.next(input, &mut NoLanding)?;
        if let Some(transcript) = &mut self.transcript {
            transcript.note_received(&before[..before.len() - input.len()])?;
        }
        match frame {
            None => Ok(None),
            Some(Frame::Control(control)) => Ok(Some(control)),
            Some(Frame::Message(_)) => {
                Err(HandshakeError::Unexpected { found: Tag::Message, awaited: "the end of the handshake" })
            }
        }
    }

    fn note_received(&mut self, bytes: &[u8]) -> Result<(), HandshakeError> {
        match &mut self.transcript {
            Some(transcript) => transcript.note_received(bytes),
            None => Ok(()),
        }
    }

    /// Ends the record: changes to secure mode if that was agreed on, and sends our signature. `ends` draws the keys.
    pub(super) fn sign(
        &mut self,
        con_mode: ConMode,
        mut secrets: SessionSecrets,
        ends: impl FnOnce(&ConnectionSecret) -> (Sealer, Opener),
    ) -> Result<Awaited, HandshakeError> {
        let transcript = self.transcript.take().expect("a handshake is signed once");
        let (signature, awaited) = transcript.sign(secrets.signing_key.as_deref());
        match (con_mode, &secrets.connection_secret) {
            (ConMode::Crc, _) => {}
            (ConMode::Secure, None) => return Err(HandshakeError::NoConnectionSecret),
            (ConMode::Secure, Some(secret)) => {
                let (sealer, opener) = ends(secret);
                self.sealer = sealer;
                self.reader.switch(opener);
            }
        }
        secrets.signing_key.zeroize();
        if let Some(secret) = &mut secrets.connection_secret {
            secret.0.zeroize();
        }
        self.send(&Control::AuthSignature(signature))?;
        Ok(awaited)
    }

    /// The two ends for the session. Nothing is sent over this line any more.
    pub(super) fn take_ends(&mut self) -> (Sealer, Opener) {
        let opener = self.reader.switch(Opener::crc());
        (std::mem::replace(&mut self.sealer, Sealer::crc()), opener)
    }
}

/// The peer that began with `read`, of which the last byte is one too many, and went on with `rest`.
fn not_ceph(read: &[u8], rest: &[u8]) -> HandshakeError {
    let mut first = [0; 8];
    first.iter_mut().zip(read.iter().chain(rest)).for_each(|(place, byte)| *place = *byte);
    HandshakeError::NotCeph { first }
}

/// A frame that does not belong here.
pub(super) fn unexpected(found: &Control<'_>, awaited: &'static str) -> HandshakeError {
    HandshakeError::Unexpected { found: found.tag(), awaited }
}
