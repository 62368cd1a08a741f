// Package config reads a service's settings from the environment, once, at the start.
package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Load fills into, a pointer to a struct with `env` tags (nested structs included), from an environment in the form of
// [os.Environ]. NAME_FILE, the path of a file that holds the value, may take the place of NAME: a secret need not be in
// the environment. If any variable is bad, the error is one message with a sorted line for each, and into is unusable.
func Load(environ []string, into any) error {
	vars := env.ToMap(environ)
	for name, value := range vars {
		vars[name] = strings.TrimRight(value, "\r") // of a file with Windows line ends
	}
	fields, err := env.GetFieldParams(into)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	var problems []string
	for _, field := range fields {
		if err := check(field.Key, vars, into); err != nil {
			problems = append(problems, err.Error())
		}
	}
	if len(problems) > 0 {
		slices.Sort(problems)
		return fmt.Errorf("bad configuration:\n  %s", strings.Join(problems, "\n  "))
	}
	return env.ParseWithOptions(into, env.Options{Environment: vars})
}

// Finding is a setting, of a service or of a server that it uses, under which the service works but keeps a promise
// less well than documented.
type Finding struct {
	Setting string `json:"setting"` // the name of the setting or object at fault, such as "redis appendfsync"
	Problem string `json:"problem"` // its value and the promise that it weakens, in one sentence
}

// check takes a variable's value from its file, if it has one, and parses the variable alone, because the library's
// errors name fields, which two structs may share. In that parse all other variables are unset, so no field may be
// tagged required or notEmpty. The error shows the value unless that may hold a password.
func check(name string, vars map[string]string, into any) error {
	if path := vars[name+"_FILE"]; path != "" {
		if vars[name] != "" {
			return fmt.Errorf("%s and %s_FILE are both set; set one", name, name)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("%s_FILE: %w", name, err)
		}
		vars[name] = strings.TrimRight(string(content), "\r\n")
	}
	err := env.ParseWithOptions(into, env.Options{Environment: map[string]string{name: vars[name]}})
	if err == nil {
		return nil
	}
	if bad, ok := errors.AsType[env.ParseError](err); ok {
		err = bad.Err
		if _, ok := errors.AsType[*strconv.NumError](err); ok { // the standard library's wording, for plain Go types
			err = plain(bad.Type)
		}
	}
	if strings.HasSuffix(name, "_URL") || strings.HasSuffix(name, "_PASSWORD") || strings.Contains(vars[name], "@") {
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("%s=%q: %w", name, vars[name], err)
}

// plain describes the values of a plain Go type.
func plain(t reflect.Type) error {
	switch {
	case t.Kind() == reflect.Bool:
		return errors.New("neither true nor false")
	case t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64:
		return fmt.Errorf("not a number from 0 to %d", uint64(1)<<t.Bits()-1)
	default:
		return errors.New("not a number")
	}
}
