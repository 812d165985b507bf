//! Values that an interrupt or a DMA delivers while the core computes: a sensor never waits, and what there was no
//! room for is counted, and never computed with.
//!
//! ```
//! use bt_core::{Error, Session};
//! use bt_embed::intake::{Intake, Pieces, Taken};
//!
//! // 7 pieces of 32 bytes each find room. Firmware keeps them in a static.
//! type Camera = Pieces<32, 8>;
//!
//! /// What the loop does when the interrupt has delivered something, or nothing yet.
//! fn go_on(intake: &mut Intake<32>, session: &mut Session, scores: &mut [i32]) -> Result<(), Error> {
//!     match intake.take(session)? {
//!         Taken::Frame => {
//!             session.step()?;
//!             session.scores(scores)?;
//!         }
//!         Taken::Piece | Taken::Lost => {}
//!         Taken::Nothing => {} // Sleep until the next interrupt here; feed the watchdog after any of the four.
//!     }
//!     Ok(())
//! }
//! ```

use bt_core::error::PushError;
use bt_core::{Model, Session};
use heapless::spsc::{Consumer, Producer, Queue};

/// Pieces of at most `BYTES` on their way from an interrupt to the loop; `PLACES` − 1 find room.
pub type Pieces<const BYTES: usize, const PLACES: usize> = Queue<Piece<BYTES>, PLACES>;

/// Some bytes of a frame, and where they belong.
#[derive(Clone, Copy, Debug)]
pub struct Piece<const BYTES: usize> {
    /// Counts from 0 and wraps.
    frame: u32,
    /// Within the frame, in bytes.
    offset: u32,
    length: u16,
    bytes: [u8; BYTES],
}

/// Both ends of a queue, for frames of this model: the interrupt delivers, the loop takes.
pub fn split<'q, const BYTES: usize, const PLACES: usize>(
    pieces: &'q mut Pieces<BYTES, PLACES>,
    model: &Model<'_>,
) -> (Delivery<'q, BYTES>, Intake<'q, BYTES>) {
    const {
        assert!(
            BYTES >= 2 && BYTES.is_multiple_of(2) && BYTES <= u16::MAX as usize,
            "a piece holds whole values of two bytes"
        );
        assert!(PLACES >= 2, "a queue of n places holds n - 1 pieces");
    }
    let frame_bytes = (model.frame_values() * model.input_type().bytes()) as u32;
    let has_frames = model.front_end().is_none();
    let (queue, taken) = pieces.split();
    let delivery = Delivery {
        queue,
        frame_bytes,
        has_frames,
        frame: 0,
        offset: 0,
        gives_up: false,
    };
    let intake = Intake {
        queue: taken,
        frame_bytes,
        has_frames,
        frame: 0,
        offset: 0,
        skips: false,
        within: 0,
        counts: Counts::default(),
    };
    (delivery, intake)
}

/// The interrupt's end.
pub struct Delivery<'q, const BYTES: usize> {
    queue: Producer<'q, Piece<BYTES>>,
    frame_bytes: u32,
    /// Sound has none: what lies behind a gap is taken wherever it begins.
    has_frames: bool,
    frame: u32,
    offset: u32,
    /// Whether the frame under way misses something.
    gives_up: bool,
}

impl<const BYTES: usize> Delivery<'_, BYTES> {
    /// Hands over the next bytes of the stream, whole values of the model's type, and returns how many found room.
    /// Those that did not, and what is left of their frame, are missed by [`Intake::take`]. Takes as long as copying
    /// does.
    pub fn deliver(&mut self, mut bytes: &[u8]) -> usize {
        let mut found_room = 0;
        while !bytes.is_empty() {
            let room = BYTES.min((self.frame_bytes - self.offset) as usize);
            let Some((now, later)) = bytes.split_at_checked(bytes.len().min(room)) else {
                return found_room;
            };
            bytes = later;
            let mut piece = Piece {
                frame: self.frame,
                offset: self.offset,
                length: now.len() as u16,
                bytes: [0; BYTES],
            };
            for (place, &byte) in piece.bytes.iter_mut().zip(now) {
                *place = byte;
            }
            if !self.gives_up && self.queue.enqueue(piece).is_ok() {
                found_room += now.len();
            } else {
                // What is left of the frame would take the next one's room.
                self.gives_up = self.has_frames;
            }
            self.offset += now.len() as u32;
            if self.offset >= self.frame_bytes {
                self.begin_frame();
            }
        }
        found_room
    }

    /// Says that what comes next begins a frame, as a camera's vertical sync does. Where it does so anyhow, this
    /// changes nothing; otherwise the frame under way stays incomplete, and is lost.
    pub fn align(&mut self) {
        if self.offset != 0 {
            self.begin_frame();
        }
    }

    fn begin_frame(&mut self) {
        self.gives_up = false;
        self.offset = 0;
        self.frame = self.frame.wrapping_add(1);
    }
}

/// What [`Intake::take`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Taken {
    /// Nothing: sleep until the next interrupt.
    Nothing,
    /// A part of a frame.
    Piece,
    /// The rest of a frame: a step is due.
    Frame,
    /// A part of a frame that can no longer be completed; [`Intake::counts`] tells how many there were.
    Lost,
}

/// What was taken, and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counts {
    /// Frames completed; of sound, steps.
    pub frames: u32,
    /// Frames that miss something, each dropped as a whole. None of sound, which goes on behind a gap.
    pub frames_lost: u32,
    /// Bytes that never came here: for want of room, or since the sensor began the next frame early.
    pub bytes_lost: u32,
}

/// The loop's end.
pub struct Intake<'q, const BYTES: usize> {
    queue: Consumer<'q, Piece<BYTES>>,
    frame_bytes: u32,
    /// As of [`Delivery`].
    has_frames: bool,
    /// Where the next piece begins if nothing is missing before it.
    frame: u32,
    offset: u32,
    /// Whether the frame there is given up, and counted as lost.
    skips: bool,
    /// Bytes of the next piece that are taken.
    within: u16,
    counts: Counts,
}

impl<const BYTES: usize> Intake<'_, BYTES> {
    /// Pushes the next piece into the session. A frame that misses something is dropped as a whole, from the session
    /// too, and what is left of it is skipped: a step is made of one whole frame or not at all.
    ///
    /// # Errors
    ///
    /// [`PushError`]: after [`Taken::Frame`] there was no step, or the piece is no whole values. Nothing is taken then.
    pub fn take(&mut self, session: &mut Session<'_, '_>) -> Result<Taken, PushError> {
        let Some(&piece) = self.queue.peek() else {
            return Ok(Taken::Nothing);
        };
        if session.frame_complete() {
            return Err(PushError::FrameComplete);
        }
        if self.within == 0 {
            self.look_for_a_gap(&piece, session);
        }
        if self.skips {
            self.done_with(&piece);
            return Ok(Taken::Lost);
        }
        let bytes = piece.bytes.get(..piece.length.into()).unwrap_or_default();
        let rest = bytes.get(self.within.into()..).unwrap_or_default();
        self.within += session.push_bytes(rest)? as u16;
        if self.within >= piece.length {
            self.done_with(&piece);
        }
        if !session.frame_complete() {
            return Ok(Taken::Piece);
        }
        self.counts.frames = self.counts.frames.saturating_add(1);
        Ok(Taken::Frame)
    }

    /// Whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        !self.queue.ready()
    }

    /// Number of the frame that the next piece should belong to: behind [`Taken::Frame`] one more than that of the
    /// frame taken. Counts from 0, lost frames too, and wraps.
    pub fn next_frame(&self) -> u32 {
        self.frame
    }

    /// What was taken since the start, and what was not.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Counts what is missing before a piece, and gives up the frames that miss it.
    fn look_for_a_gap(&mut self, piece: &Piece<BYTES>, session: &mut Session<'_, '_>) {
        let frames = piece.frame.wrapping_sub(self.frame);
        // Modulo 2³², as frames are counted.
        let gap = frames
            .wrapping_mul(self.frame_bytes)
            .wrapping_add(piece.offset)
            .wrapping_sub(self.offset);
        if gap == 0 {
            return;
        }
        self.counts.bytes_lost = self.counts.bytes_lost.saturating_add(gap);
        if !self.has_frames {
            return;
        }
        session.drop_frame();
        let mut lost = 0;
        if frames > 0 {
            lost = frames - u32::from(self.skips);
            self.skips = false;
        }
        if piece.offset > 0 && !self.skips {
            lost += 1;
            self.skips = true;
        }
        self.counts.frames_lost = self.counts.frames_lost.saturating_add(lost);
    }

    fn done_with(&mut self, piece: &Piece<BYTES>) {
        self.queue.dequeue();
        self.within = 0;
        self.frame = piece.frame;
        self.offset = piece.offset + u32::from(piece.length);
        if self.offset >= self.frame_bytes {
            self.frame = self.frame.wrapping_add(1);
            self.offset = 0;
            self.skips = false;
        }
    }
}
