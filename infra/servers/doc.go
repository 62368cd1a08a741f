// Package servers runs real Redis and PostgreSQL servers, and any other program, as private child processes that can be
// killed, paused, started again and stopped, and that never outlive the program that started them.
//
// Every child keeps these promises:
//
//   - It listens on the loopback interface only.
//   - It runs in a process group of its own, so a Ctrl-C in the terminal reaches the parent alone, which then ends its
//     children in the order it wants.
//   - Kill, Pause and Resume reach every process the child has started. They follow the process table, because a signal
//     to the process group would miss PostgreSQL's backends, which run in sessions of their own.
//   - Every wait is bounded, by the caller's context and by a limit of its own.
//   - On Linux the kernel ends the child when its parent is gone, however the parent ended. Elsewhere only a parent
//     that ends by itself takes its children along.
package servers
