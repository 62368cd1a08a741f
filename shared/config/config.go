// Package config reads a service's settings from its environment, once, at its start.
package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Load fills into, a pointer to a struct with `env` tags (nested structs included), from an environment in the form of
// [os.Environ]. A variable NAME whose value should not stand in the environment can be given as NAME_FILE, the path of
// a file that holds it. If anything is wrong the error is one message with a line for every bad variable, sorted, and
// into must not be used.
func Load(environ []string, into any) error {
	names := variables(reflect.TypeOf(into).Elem())
	vars, problems := readFiles(env.ToMap(environ), names)
	if err := env.ParseWithOptions(into, env.Options{Environment: vars}); err != nil {
		all, ok := errors.AsType[env.AggregateError](err)
		if !ok {
			return fmt.Errorf("read configuration: %w", err)
		}
		for _, err := range all.Errors {
			problems = append(problems, describe(err, names, vars))
		}
	}
	if len(problems) == 0 {
		return nil
	}
	slices.Sort(problems)
	return fmt.Errorf("bad configuration:\n  %s", strings.Join(problems, "\n  "))
}

// variables maps each field's name to the variable it is read from.
func variables(t reflect.Type) map[string]string {
	names := map[string]string{}
	for f := range t.Fields() {
		if key, _, _ := strings.Cut(f.Tag.Get("env"), ","); key != "" {
			names[f.Name] = key
		} else if f.Type.Kind() == reflect.Struct {
			for name, key := range variables(f.Type) {
				names[name] = key
			}
		}
	}
	return names
}

// readFiles replaces NAME_FILE by NAME for every variable that the service knows.
func readFiles(vars map[string]string, names map[string]string) (_ map[string]string, problems []string) {
	for _, name := range names {
		path := vars[name+"_FILE"]
		if path == "" {
			continue
		}
		if vars[name] != "" {
			problems = append(problems, fmt.Sprintf("%s and %s_FILE are both set; set one", name, name))
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s_FILE: %v", name, err))
			continue
		}
		vars[name] = strings.TrimRight(string(content), "\r\n")
	}
	return vars, problems
}

// describe names the variable, which the library's error does not, and shows its value unless that may hold a password.
func describe(err error, names, vars map[string]string) string {
	if bad, ok := errors.AsType[env.ParseError](err); ok {
		name := names[bad.Name]
		if strings.HasSuffix(name, "_URL") || strings.HasSuffix(name, "_PASSWORD") {
			return fmt.Sprintf("%s: %v", name, bad.Err)
		}
		return fmt.Sprintf("%s=%q: %v", name, vars[name], bad.Err)
	}
	if missing, ok := errors.AsType[env.VarIsNotSetError](err); ok {
		return missing.Key + ": not set"
	}
	return err.Error()
}
