//! A model with its session, fed with numbers as a data set holds them.

use bt_core::about::FloatInput;
use bt_core::captions::{END, Teller, Temperature};
use bt_core::drawing::{NextFrame, Painting, Random};
use bt_core::sound::FrontEnd;
use bt_core::{InputType, Model, ModelBytes, OutputKind, SelfTest, Session, argmax};
use serde_json::{Value, json};

/// A model and a stream through it.
#[derive(Debug)]
pub struct Device {
    model: &'static Model<'static>,
    session: Session<'static, 'static>,
    self_test: SelfTest,
    /// How floats become the model's integers: one for all values of a frame, or one for each.
    inputs: Vec<FloatInput>,
    /// Values pushed since the last reset.
    pushed: usize,
    mel: Option<Mel>,
}

/// What the front end makes of the samples, once more, to be seen.
#[derive(Debug)]
struct Mel {
    front_end: &'static FrontEnd<'static>,
    state: Vec<u32>,
}

impl Device {
    /// Checks a `.btm` file and runs its self test.
    ///
    /// File and arena are kept for as long as the page lives: a session borrows both, and a page opens few.
    ///
    /// # Errors
    ///
    /// Why it is no model.
    pub fn open(file: &[u8]) -> Result<Device, String> {
        let bytes: &'static ModelBytes = Box::leak(Box::new(ModelBytes::from_unaligned(file)));
        let model = Model::parse(bytes.bytes()).map_err(|error| error.to_string())?;
        let model: &'static Model<'static> = Box::leak(Box::new(model));
        let arena = vec![0; model.arena_words()].leak();
        let mut session = Session::new(model, arena).map_err(|error| error.to_string())?;
        let self_test = session.self_test();
        let mel = model.front_end().map(|front_end| Mel {
            front_end,
            state: vec![0; front_end.state_words()],
        });
        let mut device = Device {
            model,
            session,
            self_test,
            inputs: model.float_inputs().collect(),
            pushed: 0,
            mel,
        };
        device.reset();
        Ok(device)
    }

    /// What there is to say of the model.
    pub fn about(&self) -> Value {
        let model = self.model;
        let sound = model.front_end().map(|front_end| {
            json!({
                "rate": front_end.sample_rate_hz(),
                "hop": front_end.hop(),
                "bands": front_end.bands(),
            })
        });
        let labels: Vec<&str> = (0..model.outputs())
            .map(|output| model.label(output).unwrap_or(""))
            .collect();
        let about: Value = serde_json::from_str(model.about()).unwrap_or_default();
        json!({
            "name": model.name(),
            "labels": labels,
            "classes": model.output_kind() == OutputKind::Classes,
            "every_step": model.scores_every_step(),
            "input": format!("{:?}", model.input_type()).to_lowercase(),
            "frame_values": model.frame_values(),
            "frames": about["config"]["input"]["frames"],
            "draws": model.next_frame() != NextFrame::Pushed,
            "paints": model.painting().is_some(),
            "caption_words": model.caption_words(),
            "picture_steps": about["config"]["head"]["steps"],
            "hidden": model.hidden(),
            "score_shift": model.score_shift(),
            "flash_bytes": model.flash_bytes(),
            "arena_bytes": model.arena_bytes(),
            "self_test": format!("{:?}", self.self_test).to_lowercase(),
            "sound": sound,
        })
    }

    /// Back to the start of a stream.
    pub fn reset(&mut self) {
        self.session.reset();
        self.pushed = 0;
        if let Some(mel) = &mut self.mel {
            mel.front_end.reset(&mut mel.state);
        }
    }

    /// Pushes values, quantised to the model's type as `bt-train run` does it, and makes every step that
    /// they complete: `{"steps": [{"raw", "values", "best", "hidden"}], "mel": [[…]]}`.
    ///
    /// # Errors
    ///
    /// A value that is no number, or one with a fraction for a model of integers.
    pub fn feed(&mut self, values: &[f32]) -> Result<Value, String> {
        let integers = self.integers(values)?;
        let mel = self
            .mel
            .as_mut()
            .map_or_else(Vec::new, |mel| mel.push(&integers));
        let bytes: Vec<u8> = match self.model.input_type() {
            InputType::U8 | InputType::I8 => integers.iter().map(|&value| value as u8).collect(),
            InputType::I16 => integers
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        };
        let mut rest = &bytes[..];
        let mut steps = Vec::new();
        while self
            .session
            .feed(&mut rest)
            .map_err(|error| error.to_string())?
        {
            steps.push(self.step()?);
        }
        self.pushed += values.len();
        Ok(json!({ "steps": steps, "mel": mel }))
    }

    /// Ends an utterance as the firmware does: the last step is completed with silence.
    ///
    /// # Errors
    ///
    /// A frame that is not complete, of a model without sound.
    pub fn finish(&mut self) -> Result<Value, String> {
        let mut steps = Vec::new();
        self.session.finish().map_err(|error| error.to_string())?;
        if self.session.frame_complete() {
            steps.push(self.step()?);
        }
        Ok(json!({ "steps": steps, "mel": [] }))
    }

    /// Picture 0 of a seed, by the device's own code: `{"rows": [[bits]], "white": 1, "steps": […]}`, a row a step; of
    /// a model that paints, in all its steps, greys to 255.
    ///
    /// # Errors
    ///
    /// A model that does not draw.
    pub fn draw(&mut self, seed: u64, rows: usize) -> Result<Value, String> {
        self.reset();
        if let Some(painting) = self.model.painting() {
            return self.paint(seed, painting);
        }
        let mut random = Random::new(seed, 0);
        let mut row = vec![0; self.model.outputs()];
        let (mut picture, mut steps) = (Vec::new(), Vec::new());
        for _ in 0..rows {
            self.session
                .draw(&mut random, &mut row)
                .map_err(|error| error.to_string())?;
            picture.push(row.clone());
            steps.push(self.told()?);
        }
        Ok(json!({ "rows": picture, "white": 1, "steps": steps, "mel": [] }))
    }

    fn paint(&mut self, seed: u64, painting: Painting) -> Result<Value, String> {
        let mut random = Random::new(seed, 0);
        let mut greys = vec![0; self.model.outputs()];
        let mut steps = Vec::new();
        for _ in 0..painting.steps {
            self.session
                .draw(&mut random, &mut greys)
                .map_err(|error| error.to_string())?;
            steps.push(self.told()?);
        }
        let rows: Vec<&[u8]> = greys.chunks(painting.columns.max(1)).collect();
        Ok(json!({ "rows": rows, "white": 255, "steps": steps, "mel": [] }))
    }

    /// A caption of the picture that was fed last: `{"words": [numbers], "text": "…", "steps": […]}`, a step a word. At
    /// temperature 0 always the likeliest word, else words drawn at so many 256ths, caption `number` of a seed.
    ///
    /// # Errors
    ///
    /// A model that tells no captions, no picture, or no such temperature.
    pub fn tell(&mut self, (seed, number): (u64, u64), temperature: u16) -> Result<Value, String> {
        let longest = self.model.caption_words();
        let longest = longest.ok_or("the model tells no captions")?;
        let mut teller = match temperature {
            0 => Teller::likeliest(),
            _ => {
                let temperature = Temperature::new(temperature);
                let temperature = temperature.ok_or("temperatures begin at 0.125")?;
                Teller::drawing(Random::new(seed, number), temperature)
            }
        };
        let begun = self.session.begin_caption();
        begun.map_err(|error| error.to_string())?;
        let (mut words, mut steps) = (Vec::new(), Vec::new());
        let mut scores = vec![0; self.model.outputs()];
        while words.len() < longest {
            self.session
                .scores(&mut scores)
                .map_err(|error| error.to_string())?;
            match teller.next_word(&scores, self.model.score_shift()) {
                None | Some(END) => break,
                Some(word) => {
                    words.push(word);
                    let stepped = self.session.step_word(word);
                    stepped.map_err(|error| error.to_string())?;
                    steps.push(self.told()?);
                }
            }
        }
        let texts = words.iter().map(|&word| self.model.label(word));
        let texts: Vec<&str> = texts.map(Option::unwrap_or_default).collect();
        Ok(json!({ "words": words, "text": texts.join(" "), "steps": steps }))
    }

    fn step(&mut self) -> Result<Value, String> {
        self.session.step().map_err(|error| error.to_string())?;
        self.told()
    }

    /// What there is to tell of the last step.
    fn told(&self) -> Result<Value, String> {
        let mut raw = vec![0; self.model.outputs()];
        self.session
            .scores(&mut raw)
            .map_err(|error| error.to_string())?;
        let values: Vec<f32> = (0..)
            .zip(&raw)
            .filter_map(|(output, &raw)| self.model.value(output, raw))
            .collect();
        Ok(json!({
            "raw": raw,
            "values": values,
            "best": argmax(&*raw),
            "hidden": self.session.hidden_state(),
        }))
    }

    /// The integers that are pushed of such values.
    fn integers(&self, values: &[f32]) -> Result<Vec<i16>, String> {
        let input_type = self.model.input_type();
        let takes_floats = self
            .inputs
            .iter()
            .any(|&input| input != FloatInput::INTEGER);
        (self.pushed..)
            .zip(values)
            .map(|(at, &value)| {
                let input = self.inputs[at % self.model.frame_values() % self.inputs.len()];
                if !value.is_finite() {
                    return Err(format!("value {at} is {value}"));
                }
                let integer = input.integer(input_type, value);
                if !takes_floats && f32::from(integer) != value {
                    let (low, high) = input_type.range();
                    return Err(format!(
                        "value {at} is {value}; the model takes integers from {low} to {high}"
                    ));
                }
                Ok(integer)
            })
            .collect()
    }
}

impl Mel {
    /// The vectors that these samples complete.
    fn push(&mut self, mut samples: &[i16]) -> Vec<Vec<i16>> {
        let mut vectors = Vec::new();
        let mut vector = vec![0; self.front_end.bands()];
        while !samples.is_empty() {
            let push = self.front_end.push(&mut self.state, samples, &mut vector);
            samples = &samples[push.consumed..];
            if push.produced {
                vectors.push(vector.clone());
            }
        }
        vectors
    }
}
