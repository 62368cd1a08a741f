// Package local runs the whole platform on this machine, as processes: real Redis and PostgreSQL in a data folder, and the three
// services, built from the source. It stands in for Docker Compose where there is no container engine, and keeps the same
// habits: a part that dies is started again, all output is one log, and the end comes in order.
//
//	Run            prepares, starts, waits until all is ready, tells the addresses, and stops in order
//	Supervisor     keeps the parts running, whatever ends them
//	Log            one log of the output of all parts, each line with its part's name
//	Ports          the ports, the variables that change them, and the check that they are free
//	folder         the data folder and its lock
package local
