//! What may not be said in a phase does not compile.

#[test]
fn messages_out_of_their_phase_do_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/*.rs");
}
