// Package testenv gives tests private, real Redis and PostgreSQL servers, which they may kill, pause and start again.
//
// A test that needs only a database takes NewDatabase: a fresh, empty one on a server that all tests of the program
// share. A test that does harm to a server takes its own with NewPostgres or NewRedis. Where the server's program is
// missing the test fails and says what to install: a test that skips would prove nothing.
//
// A package that uses NewDatabase has
//
//	func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }
//
// No process and no folder stays behind, however the test program ends: see servers.Scratch.
package testenv
