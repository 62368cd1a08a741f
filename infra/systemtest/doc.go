// Package systemtest holds the platform to its promises: its tests run the three services as the processes they are, on
// a Redis and a PostgreSQL of their own, and kill, pause and starve them while votes come in.
package systemtest
