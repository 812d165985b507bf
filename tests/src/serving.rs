//! What a service stands in when a test asks it directly.

use bt_core::detection::Watch;
use bt_core::drawing::NextFrame;
use bt_core::{Model, OutputKind};
use bt_embed::board::Stack;
use bt_embed::service::{Places, Service, Surroundings};
use bt_embed::wire::LineCounts;

use crate::still::Still;

/// The memory of a service.
pub struct Room {
    arena: Vec<u32>,
    scores: Vec<i32>,
    drawn: Vec<u8>,
    watches: Vec<Watch>,
}

impl Room {
    /// As much as a model needs: bits where it draws its next frame, rules where something can be detected.
    pub fn of(model: &Model<'_>) -> Room {
        let outputs = model.outputs();
        let draws = model.next_frame() == NextFrame::Drawn;
        let detects = model.output_kind() == OutputKind::Classes && model.caption_words().is_none();
        Room {
            arena: vec![0; model.arena_words()],
            scores: vec![0; outputs],
            drawn: vec![0; if draws { outputs } else { 0 }],
            watches: vec![Watch::OFF; if detects { outputs } else { 0 }],
        }
    }

    /// All of it.
    pub fn places(&mut self) -> Places<'_> {
        Places {
            arena: &mut self.arena,
            scores: &mut self.scores,
            drawn: &mut self.drawn,
            watches: &mut self.watches,
        }
    }

    /// A service of a model, whose file is read again from `file`.
    ///
    /// # Panics
    ///
    /// The room is that of a smaller model.
    pub fn serve<'m, 'a>(
        &'a mut self,
        model: &'m Model<'m>,
        file: &'m [u8],
    ) -> Service<'m, 'a, Still, Still> {
        let service = Service::new(model, file, self.places(), Still, Still);
        service.unwrap_or_else(|refusal| panic!("{refusal}"))
    }
}

/// A line of some hundred bytes that loses nothing.
pub fn surroundings() -> Surroundings {
    Surroundings {
        board: "in memory",
        chunk_bytes_max: 200,
        score_count_max: 50,
        bit_count_max: 50,
        line: LineCounts::default(),
        stack: Stack::default,
    }
}
