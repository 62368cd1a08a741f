// Package servers runs real Redis and PostgreSQL servers, and any other program, as private child processes that can be
// killed, paused, started again and stopped, and that never outlive the program that started them.
//
// Every child keeps these promises:
//
//   - It listens on the loopback interface only.
//   - It runs in a process group of its own, so that a Ctrl-C in the terminal reaches the parent alone, which then ends its
//     children in the order it wants.
//   - Kill, Pause and Resume reach every process the child has started, PostgreSQL's backends among them. They put themselves
//     into sessions of their own, so a signal to the process group would miss them; the process table is read instead.
//   - Every wait is bounded, by the caller's context and by a limit of its own.
//   - On Linux the kernel ends the child when its parent is gone, however the parent ended. Elsewhere only a parent that
//     ends by itself takes its children along.
package servers
