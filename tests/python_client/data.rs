//! Recordings, data sets and states, as bt-train run has them.

use super::*;

/// What the program leaves that streams to a model in memory.
fn program(model: &[u8], arguments: &[&str]) -> Output {
    let (host, device) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        let served = scope.spawn(|| {
            let board = in_memory(device, 0);
            run(board, model, &mut Memory::<300, 2000, 8>::new())
        });
        let client = format!("{FOLDER}/bt_client.py");
        let output = left(host, &[&[&client, "fd:0"], arguments].concat());
        assert_eq!(served.join().unwrap(), Ended::End);
        output
    })
}

/// A canonical RIFF file of 16-bit PCM.
fn wav(samples: &[i16], channels: u16, hertz: u32) -> Vec<u8> {
    let data: Vec<u8> = samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let length = data.len() as u32;
    let frame = 2 * channels;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    file.extend(channels.to_le_bytes());
    file.extend(hertz.to_le_bytes());
    file.extend((hertz * u32::from(frame)).to_le_bytes());
    file.extend(frame.to_le_bytes());
    file.extend(b"\x10\0data");
    file.extend(length.to_le_bytes());
    file.extend(data);
    file
}

#[test]
fn the_program_streams_recordings_as_run_does() {
    if !has_python() {
        return;
    }
    let file = exported::sound(1, FORMAT);
    let model = Model::parse(file.bytes()).unwrap();
    let hertz = model.front_end().unwrap().sample_rate_hz();
    let mut noise = Noise::new(9);
    // The last step is not complete.
    let sound: Vec<i16> = (0..555).map(|_| noise.bits() as i16 >> 4).collect();
    let wanted =
        bt_train::device::run(&model, &recordings(std::slice::from_ref(&sound)), || ()).unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("sound.wav");
    let path = path.to_str().unwrap();
    fs::write(path, wav(&sound, 1, hertz)).unwrap();
    let said = printed(&program(file.bytes(), &[path]));
    assert_eq!(
        (&said["raw"], &said["steps"]),
        (&serde_json::json!(wanted[0]), &9.into())
    );
    let complaint = |model: &[u8]| {
        let output = program(model, &[path]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    fs::write(path, wav(&sound[..554], 2, 44_100)).unwrap();
    let refused = format!(
        "error: {path}: 2 channels of 16 bits at 44100 Hz, the device takes 1 of 16 bits at {hertz} Hz\n"
    );
    assert_eq!(complaint(file.bytes()), refused);
    let refused = format!("error: {path}: the device's model takes frames of values, not sound\n");
    assert_eq!(complaint(Dense::default().model().bytes()), refused);
    fs::write(path, b"RIFF").unwrap();
    assert!(complaint(file.bytes()).starts_with("error: "));
}

/// Floats become the integers that bt-core makes of them, each place by its own offset and step.
#[test]
fn the_program_streams_data_sets_as_run_does() {
    if !has_python() {
        return;
    }
    let mut contents = cases::program();
    let places = contents.map_values as usize;
    contents.float_inputs = (0..places)
        .map(|at| FloatInput {
            offset: 20.0 - at as f32,
            lsb: 0.01 * (1 + at) as f32,
        })
        .collect();
    let file = contents.write().unwrap();
    let model = Model::parse(file.bytes()).unwrap();
    let inputs: Vec<FloatInput> = model.float_inputs().collect();
    assert_eq!(inputs.len(), places);
    let mut noise = Noise::new(3);
    let (sequences, steps) = (3, 4);
    let lengths = [4u8, 1, 3];
    let mut floats: Vec<f32> = (0..sequences * steps * places)
        .map(|_| f32::from(noise.bits() as i16) / 3.0)
        .collect();
    floats[1] = f32::NAN;
    let bytes: Vec<Vec<u8>> = floats
        .chunks(steps * places)
        .zip(lengths)
        .map(|(sequence, length)| {
            let values = sequence
                .iter()
                .enumerate()
                .take(usize::from(length) * places);
            let integer = |(at, &value): (usize, &f32)| {
                inputs[at % places].integer(model.input_type(), value)
            };
            match model.input_type() {
                InputType::I16 => values.flat_map(|v| integer(v).to_le_bytes()).collect(),
                InputType::U8 | InputType::I8 => values.map(|v| integer(v) as u8).collect(),
            }
        })
        .collect();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("data.npz");
    let path = path.to_str().unwrap();
    let raw: Vec<u8> = floats
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let classes: Vec<u8> = [1i64, 0, 1]
        .iter()
        .flat_map(|class| class.to_le_bytes())
        .collect();
    let x_test = npy("<f4", &format!("({sequences}, {steps}, {places})"), &raw);
    let others = [
        ("lengths_test", npy("|u1", "(3,)", &lengths)),
        ("y_test", npy("<i8", "(3,)", &classes)),
    ];
    let npz = |x: &[u8]| {
        let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
        let named = others.iter().map(|(name, bytes)| (*name, &bytes[..]));
        for (name, bytes) in named.chain([("x_test", x)]) {
            let options = zip::write::SimpleFileOptions::default()
                .compression_method(zip::CompressionMethod::Stored);
            zip.start_file(format!("{name}.npy"), options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
    };
    npz(&x_test);
    let said = printed(&program(file.bytes(), &[path]));
    let rows = said["sequences"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    let mut right = 0;
    for ((row, bytes), (class, length)) in rows
        .iter()
        .zip(&bytes)
        .zip([1u64, 0, 1].into_iter().zip(lengths))
    {
        assert_eq!(row["raw"], serde_json::json!(scores_of(&model, bytes)));
        assert_eq!(row["steps"], length);
        right += u64::from(row["best"] == class);
    }
    assert_eq!(said["right"], right);
    assert_eq!(
        printed(&program(file.bytes(), &[path, "--limit", "1"]))["sequences"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    npz(&npy(
        ">f4",
        &format!("({sequences}, {steps}, {places})"),
        &raw,
    ));
    let output = program(file.bytes(), &[path]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        said,
        "error: x_test: arrays of >f4 in this order are not read\n"
    );
}

/// A file of NumPy's, version 1.
fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\0".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

/// A stream goes on from a file after the device was off.
#[test]
fn the_program_keeps_a_state_over_a_power_cycle() {
    if !has_python() {
        return;
    }
    let file = Dense::default().model();
    let model = Model::parse(file.bytes()).unwrap();
    let other = Dense {
        seed: 5,
        ..Dense::default()
    }
    .model();
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    let state = state.to_str().unwrap();
    // At its start; the session of this test goes on from a state of its own.
    let said = printed(&program(file.bytes(), &["--save", state]));
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let mut bytes = fs::read(state).unwrap();
    assert_eq!(said["bytes"], bytes.len());
    session.load(&bytes).unwrap();
    session.push_bytes(&[3; 14]).unwrap();
    session.step().unwrap();
    session.save(&mut bytes).unwrap();
    fs::write(state, &bytes).unwrap();
    printed(&program(file.bytes(), &["--load", state]));
    let refused = |model: &[u8]| {
        let output = program(model, &["--load", state]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let (crc, other_crc) = (model.crc(), Model::parse(other.bytes()).unwrap().crc());
    assert_eq!(
        refused(other.bytes()),
        format!("error: the state is of model {crc:08x}, the device has model {other_crc:08x}\n")
    );
    bytes[9] ^= 1;
    fs::write(state, &bytes).unwrap();
    assert_eq!(refused(file.bytes()), "error: the state is damaged\n");
}
