use super::*;

fn function(frame_bytes: u64, calls: &[u64]) -> Function {
    Function {
        name: frame_bytes.to_string(),
        frame_bytes,
        calls: calls.iter().copied().collect(),
        ..Function::default()
    }
}

/// Functions of two bytes each.
fn program<const N: usize>(functions: [Function; N]) -> Program {
    let places = (0..).step_by(2);
    let functions = places.zip(functions).map(|(at, mut function)| {
        function.end = at + 2;
        (at, function)
    });
    Program {
        functions: functions.collect(),
        ..Program::default()
    }
}

/// Gives functions of a program names, the first of them calling through a pointer.
fn name_formatting<const N: usize>(program: &mut Program, names: [(u64, &str); N]) {
    for (at, name) in names {
        program.functions.get_mut(&at).unwrap().name = name.into();
    }
    program.functions.get_mut(&names[0].0).unwrap().by_pointer = true;
}

fn frames(depth: &Depth<'_>) -> Vec<u64> {
    depth.chain.iter().map(|f| f.frame_bytes).collect()
}

fn refusal(program: &Program) -> String {
    program.depth(0).unwrap_err().to_string()
}

#[test]
fn the_deepest_chain() {
    let mut program = program([
        function(8, &[2, 4]),
        function(100, &[]),
        function(40, &[6]),
        function(80, &[]),
    ]);
    let depth = program.depth(0).unwrap();
    assert_eq!(depth.bytes, 128);
    assert_eq!(frames(&depth), [8, 40, 80]);
    program.functions.get_mut(&6).unwrap().calls.insert(4);
    assert_eq!(refusal(&program), "40 calls itself");
    program.functions.get_mut(&6).unwrap().calls = [0x70].into();
    assert_eq!(refusal(&program), "no function lies at 0x70");
}

#[test]
fn a_call_through_a_pointer_reaches_all_that_something_points_to() {
    let mut program = program([
        function(8, &[2]),
        function(16, &[]),
        function(100, &[]),
        function(30, &[]),
    ]);
    program.functions.get_mut(&2).unwrap().by_pointer = true;
    assert_eq!(
        refusal(&program),
        "16 calls through a pointer, and nothing points to a function"
    );
    program.in_tables.insert(6);
    assert_eq!(frames(&program.depth(0).unwrap()), [8, 16, 30]);
    program.functions.get_mut(&6).unwrap().points_to.insert(4);
    assert_eq!(frames(&program.depth(0).unwrap()), [8, 16, 100]);
    program.in_tables.insert(2);
    assert_eq!(refusal(&program), "16 calls itself");
}

#[test]
fn what_formats_is_reached_once_and_only_from_what_points_to_it() {
    let mut program = program([
        function(8, &[2]),
        function(16, &[]),
        function(40, &[2]),
        function(60, &[2]),
        function(5000, &[]),
    ]);
    let names = [
        (2, "core::fmt::write"),
        (4, "<outer as core::fmt::Debug>::fmt"),
        (6, "<inner as core::fmt::Display>::fmt"),
        (8, "<a::Panic as core::fmt::Display>::fmt"),
    ];
    name_formatting(&mut program, names);
    assert_eq!(frames(&program.depth(0).unwrap()), [8, 16]);
    program.functions.get_mut(&0).unwrap().points_to.insert(4);
    assert_eq!(frames(&program.depth(0).unwrap()), [8, 16, 40, 16]);
    program.functions.get_mut(&4).unwrap().points_to.insert(6);
    let expected = [8, 16, 40, 16, 60, 16];
    assert_eq!(frames(&program.depth(0).unwrap()), expected);
    program.in_tables.insert(8);
    let expected = [8, 16, 40, 16, 60, 16, 5000];
    assert_eq!(frames(&program.depth(0).unwrap()), expected);
}

#[test]
fn interrupts_come_on_top_and_panics_are_told() {
    let mut program = program([
        function(8, &[4]),
        function(24, &[]),
        function(100, &[6]),
        function(900, &[]),
        function(4, &[2]),
    ]);
    program.functions.get_mut(&6).unwrap().name = "core::panicking::panic_fmt".into();
    program.interrupt_bytes = 36;
    program.handlers = [2, 8].into();
    let bound = program.bound().unwrap();
    assert_eq!(bound.program.bytes, 108);
    let interrupts: Vec<u64> = bound.interrupts.iter().map(|depth| depth.bytes).collect();
    assert_eq!(interrupts, [60, 64]);
    assert_eq!(bound.bytes, 108 + 60 + 64);
    assert_eq!(bound.ends, ["core::panicking::panic_fmt"].into());
}

/// What is read of a function of 100 bytes whose instructions, all of them at 50, have these effects.
fn taken(effects: &[Effect], stays: bool) -> Function {
    let mut function = Function::default();
    let mut reader = Reader {
        function: &mut function,
        range: 0..100,
        stays,
        last: None,
    };
    for &effect in effects {
        reader.take(effect, 50, |place| [0xFFFF_F800, 0x800][place as usize]);
    }
    function
}

/// A frame of a function in the order of its instructions, and whether its stack pointer is understood.
fn read(effects: &[Effect]) -> (u64, bool) {
    let function = taken(effects, false);
    (function.frame_bytes, function.unknown.is_none())
}

#[test]
fn calls_of_itself_and_jumps_within() {
    let calls = |effect: Effect, stays| taken(&[effect], stays).calls;
    assert_eq!(calls(Effect::Call(0), false), [0].into());
    assert_eq!(calls(Effect::Call(200), true), [200].into());
    assert!(calls(Effect::Call(0), true).is_empty());
    // As Armv6-M jumps far.
    assert!(calls(Effect::Call(60), false).is_empty());
    assert!(calls(Effect::Jump(0), false).is_empty());
    assert_eq!(calls(Effect::Jump(100), false), [100].into());
}

/// By one way it reaches little, by another more: more is told, whichever comes first.
#[test]
fn what_is_told_of_a_pointer_is_the_deepest() {
    for [one, other] in [[6, 8], [8, 6]] {
        let mut program = program([
            function(8, &[one, other]),
            function(16, &[]),
            function(40, &[]),
            function(24, &[2]),
            function(32, &[2]),
            function(60, &[]),
        ]);
        let names = [
            (2, "core::fmt::write"),
            (4, "<shallow as core::fmt::Debug>::fmt"),
            (10, "<deep as core::fmt::Debug>::fmt"),
        ];
        name_formatting(&mut program, names);
        program
            .functions
            .get_mut(&one)
            .unwrap()
            .points_to
            .insert(10);
        program
            .functions
            .get_mut(&other)
            .unwrap()
            .points_to
            .insert(4);
        let bound = program.bound().unwrap();
        let deep = Some("<deep as core::fmt::Debug>::fmt");
        assert_eq!(bound.pointers, [("core::fmt::write", deep)].into());
    }
}

#[test]
fn frames_by_a_register() {
    let load = |place| Effect::Load { to: 6, place };
    let less = |to, from, bytes| Effect::Less { to, from, bytes };
    let (push, back) = (Effect::Push(20), less(13, 6, 0));
    assert_eq!(read(&[push, load(0), Effect::Add(6)]), (2068, true));
    let given_back = [push, load(0), Effect::Add(6), load(1), Effect::Add(6)];
    assert_eq!(read(&given_back), (2068, true));
    let restored = [push, less(6, 7, 7), less(6, 6, 5), back];
    assert_eq!(read(&restored), (20, true));
    // Deeper than what was pushed; a register that something else was done in between; another register.
    assert_eq!(read(&[push, less(6, 7, 21), back]), (20, false));
    assert_eq!(
        read(&[push, less(6, 7, 7), Effect::None, back]),
        (20, false)
    );
    assert_eq!(read(&[push, load(0), Effect::Add(5)]), (20, false));
    assert_eq!(read(&[push, less(13, 13, 672)]), (692, true));
    assert_eq!(read(&[push, Effect::Unknown]), (20, false));
}

#[test]
fn what_is_no_program_of_a_cortex_m_is_refused() {
    let error = Program::parse(b"no program").unwrap_err().to_string();
    assert!(!error.is_empty());
    let own = std::env::current_exe().unwrap();
    let error = format!("{:#}", Program::read(&own).unwrap_err());
    assert!(
        error.ends_with("only the machine code of Cortex-M is understood"),
        "{error}"
    );
}
