//! A host that streams sequences and looks at every answer.

use super::*;

/// A request, and the one right answer to it.
pub enum Ask {
    Reset,
    Label(u16),
    Data(u32, Vec<u8>, u32),
    Scores(u32, Vec<i32>),
    Statistics,
    Clear(u32),
    Save(u32, Vec<u8>),
    Load(u32, Vec<u8>, u32),
    Inputs,
    Watch(u16, Option<Rule>),
    Window(u32),
    /// From which on, and all there were so far.
    Detections(u32, Vec<Detection>),
}

impl Ask {
    pub fn request(&self) -> Request<'_> {
        match self {
            Ask::Reset => Request::Reset,
            Ask::Label(class) => Request::Label { class: *class },
            Ask::Data(sequence, bytes, _) => Request::Data {
                sequence: *sequence,
                bytes,
            },
            Ask::Scores(..) => Request::Scores { first: 0 },
            Ask::Statistics => Request::Statistics,
            Ask::Clear(period) => Request::Clear { period: *period },
            Ask::Save(at, _) => Request::Save { at: *at },
            Ask::Load(at, bytes, _) => Request::Load { at: *at, bytes },
            Ask::Inputs => Request::Inputs { first: 0 },
            Ask::Watch(class, rule) => Request::Watch {
                class: *class,
                rule: *rule,
            },
            Ask::Window(steps) => Request::Window { steps: *steps },
            Ask::Detections(first, _) => Request::Detections { first: *first },
        }
    }

    /// Whether the answer is the right one; any other of its kind is a failure.
    pub fn answered_by(&self, reply: Reply<'_>) {
        match (self, reply) {
            (Ask::Reset | Ask::Clear(_) | Ask::Watch(..) | Ask::Window(_), Reply::Ready)
            | (Ask::Statistics, Reply::Statistics(_)) => {}
            (Ask::Label(class), Reply::Label { class: of, text }) => {
                assert_eq!((of, text), (*class, &*format!("class {class}")));
            }
            (Ask::Data(sequence, _, after), Reply::Taken { next, steps }) => {
                assert_eq!((next, steps), (sequence + 1, *after));
            }
            (Ask::Scores(steps, raw), Reply::Scores(scores)) => {
                assert_eq!(scores.steps, *steps);
                assert_eq!(scores.raw.iter().collect::<Vec<_>>(), *raw);
            }
            (Ask::Save(from, state), Reply::State { total, at, bytes }) => {
                assert_eq!((at, total as usize), (*from, state.len()));
                let part = &state[at as usize..][..bytes.len()];
                assert!(bytes == part && !bytes.is_empty(), "the state");
            }
            (Ask::Load(at, bytes, whole), Reply::Loaded { due, total }) => {
                assert_eq!((due, total), (at + bytes.len() as u32, *whole));
            }
            (Ask::Inputs, Reply::Inputs { places, bytes, .. }) => {
                // Offset 0, step 2^-12.
                assert_eq!((places, bytes), (1, &[0, 0, 0, 0, 0, 0, 0x80, 0x39][..]));
            }
            (
                Ask::Detections(wanted, all),
                Reply::Detections {
                    total,
                    first,
                    bytes,
                },
            ) => {
                assert_eq!((first, total as usize), (*wanted, all.len()));
                let told = bytes.chunks(DETECTION_BYTES).map(|one| {
                    let half = |at| u16::from_le_bytes([one[at], one[at + 1]]);
                    let step = u32::from(half(0)) | u32::from(half(2)) << 16;
                    (usize::from(half(4)), step, half(6))
                });
                let all = all[first as usize..].iter();
                assert!(told.eq(all.map(|one| (one.class, one.step, one.confidence))));
            }
            (_, reply) => panic!("the wrong answer: {reply:?}"),
        }
    }
}

/// A host that streams sequences and looks at every answer.
pub struct Streaming<'m> {
    pub session: Session<'m, 'm>,
    pub noise: Noise,
    pub script: VecDeque<Ask>,
    pub decoder: Box<Decoder<4096>>,
    pub tag: u8,
    pub tries: usize,
    pub asked: usize,
    pub repeats: usize,
    /// Steps that the data so far make, over all sequences.
    pub steps: u32,
    /// Detections that were asked for.
    pub detections: usize,
    /// Steps of the periods that were cleared.
    pub cleared: u32,
    pub last: Statistics,
}

impl<'m> Streaming<'m> {
    pub fn new(model: &'m Model<'m>, arena: &'m mut [u32]) -> Self {
        Streaming {
            session: Session::new(model, arena).unwrap(),
            noise: Noise::new(5),
            script: VecDeque::from([Ask::Statistics]),
            decoder: Box::default(),
            tag: 1,
            tries: 0,
            asked: 0,
            repeats: 0,
            steps: 0,
            detections: 0,
            cleared: 0,
            last: Statistics::default(),
        }
    }

    /// One more sequence, its answers those of the session here.
    pub fn plan(&mut self) {
        let model = self.session.model();
        self.session.reset();
        self.script.push_back(Ask::Reset);
        let window = [0, 0, 3][usize::from(self.noise.bits() % 3)];
        self.script.push_back(Ask::Window(window));
        let mut watches = vec![Watch::OFF; model.outputs()];
        let mut detector = Detector::new(model, &mut watches).unwrap();
        detector.set_window(window);
        for class in 0..model.outputs() {
            let rule = (!self.noise.bits().is_multiple_of(4)).then(|| Rule {
                threshold: 1 + self.noise.bits() % Rule::THRESHOLD_MAX,
                smoothing: (self.noise.bits() % 3) as u8,
                hold_off: self.noise.bits() % 3,
            });
            detector.watch(class, rule).unwrap();
            self.script.push_back(Ask::Watch(class as u16, rule));
        }
        let count = usize::from(self.noise.bits() % 6) + 2;
        let frame = model.frame_values() * model.input_type().bytes();
        let bytes = self.noise.bytes(count * frame);
        let (mut scores, mut found) = (vec![0; model.outputs()], Vec::new());
        for mut values in bytes.chunks(frame) {
            assert!(self.session.feed(&mut values).unwrap());
            self.session.step().unwrap();
            found.extend(detector.step(&mut self.session, &mut scores).unwrap());
        }
        let (mut sent, mut told) = (0, 0);
        for (sequence, chunk) in (0..).zip(bytes.chunks(frame - 3)) {
            sent += chunk.len();
            let steps = (sent / frame) as u32;
            self.script
                .push_back(Ask::Data(sequence, chunk.to_vec(), steps));
            if self.noise.bits().is_multiple_of(2) {
                let so_far = found.iter().filter(|one| one.step <= steps).copied();
                let so_far: Vec<_> = so_far.collect();
                self.detections += so_far.len() - told as usize;
                let first = std::mem::replace(&mut told, so_far.len() as u32);
                self.script.push_back(Ask::Detections(first, so_far));
            }
        }
        self.script
            .push_back(Ask::Scores(count as u32, scores.clone()));
        self.steps += count as u32;
        // Between windows there is no step whose state could be asked for.
        if window == 0 {
            self.plan_a_state(count, scores);
        }
        self.script
            .push_back(Ask::Label(self.noise.bits() % model.classes() as u16));
        self.script.push_back(Ask::Statistics);
    }

    /// Saved, forgotten, loaded: the scores are there again.
    pub fn plan_a_state(&mut self, count: usize, scores: Vec<i32>) {
        let mut state = vec![0; self.session.saved_bytes()];
        self.session.save(&mut state).unwrap();
        for at in (0..state.len()).step_by(PART_BYTES_MAX) {
            self.script.push_back(Ask::Save(at as u32, state.clone()));
        }
        self.script.push_back(Ask::Reset);
        self.script.push_back(Ask::Inputs);
        let whole = state.len() as u32;
        for (at, part) in (0..).step_by(60).zip(state.chunks(60)) {
            self.script.push_back(Ask::Load(at, part.to_vec(), whole));
        }
        self.script.push_back(Ask::Scores(count as u32, scores));
    }

    pub fn answered(&mut self, reply: Reply<'_>) {
        let ask = self.script.pop_front().unwrap();
        ask.answered_by(reply);
        if let Reply::Statistics(statistics) = reply {
            self.last = statistics;
            if self.noise.bits().is_multiple_of(4) {
                self.script.push_front(Ask::Clear(statistics.period));
            }
        }
        if let Ask::Clear(period) = ask {
            assert_eq!(period, self.last.period);
            self.cleared += self.last.steps;
            self.last = Statistics::default();
            // What the line lost by the end is asked for last.
            if self.script.is_empty() {
                self.script.push_back(Ask::Statistics);
            }
        }
        self.tag = self.tag % 255 + 1;
        self.tries = 0;
        self.asked += 1;
    }
}

impl Host for Streaming<'_> {
    fn turn(&mut self, arrived: Vec<u8>) -> Option<Vec<u8>> {
        for byte in arrived {
            if !self.decoder.ends_frame(byte) {
                continue;
            }
            let mut decoder = std::mem::take(&mut self.decoder);
            if let Ok((tag, reply)) = decoder.take().and_then(Reply::decode)
                && tag == self.tag
                && self.tries > 0
            {
                self.answered(reply);
            }
            self.decoder = decoder;
        }
        if self.script.is_empty() {
            if self.asked >= REQUESTS {
                return None;
            }
            self.plan();
        }
        self.repeats += usize::from(self.tries > 0);
        self.tries += 1;
        assert!(self.tries <= TRIES, "no answer");
        let mut line = [0; LINE + 1];
        let request = self.script[0].request();
        let length = request.encode(self.tag, &mut line[1..]).unwrap();
        Some(line[usize::from(self.tries == 1)..=length].to_vec())
    }
}
