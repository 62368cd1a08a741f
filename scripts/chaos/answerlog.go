package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// answerLog is a file with every answer, a JSON object a line, in the order of their arrival. A line is handed to the system
// before the next vote of the same voter is cast, and is on disk a second later, so that the file tells what was answered
// even if this program does not live to do it.
type answerLog struct {
	mu     sync.Mutex
	file   *os.File
	failed error
	stop   chan struct{}
	synced sync.WaitGroup
}

func openAnswerLog(path string) (*answerLog, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("log of the answers: %w", err)
	}
	l := &answerLog{file: file, stop: make(chan struct{})}
	l.synced.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-l.stop:
				return
			case <-tick.C:
				l.note(file.Sync())
			}
		}
	})
	return l, nil
}

func (l *answerLog) add(a answer) {
	line, err := json.Marshal(a)
	if err == nil {
		_, err = l.file.Write(append(line, '\n'))
	}
	l.note(err)
}

func (l *answerLog) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.failed = err
	}
}

// close returns the first error of any write: a log with a hole proves nothing.
func (l *answerLog) close() error {
	close(l.stop)
	l.synced.Wait()
	err := errors.Join(l.failed, l.file.Sync(), l.file.Close())
	if err != nil {
		return fmt.Errorf("log of the answers: %w", err)
	}
	return nil
}
