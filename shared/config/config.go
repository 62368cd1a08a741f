// Package config reads a service's settings from the environment, once, at the start.
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
// [os.Environ]. NAME_FILE, the path of a file that holds the value, may take the place of NAME: a secret need not be in
// the environment. If any variable is bad, the error is one message with a sorted line for each, and into is unusable.
func Load(environ []string, into any) error {
	problems := parse(reflect.ValueOf(into).Elem(), env.ToMap(environ))
	if len(problems) == 0 {
		return nil
	}
	slices.Sort(problems)
	return fmt.Errorf("bad configuration:\n  %s", strings.Join(problems, "\n  "))
}

// parse fills a struct's own fields, then the structs in it. The library gets only the former: its errors name fields,
// not variables, and two structs may use the same field name.
func parse(into reflect.Value, vars map[string]string) (problems []string) {
	var own []reflect.StructField
	variables := map[string]string{} // by field name
	for field, value := range into.Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("env"), ","); name != "" {
			own = append(own, reflect.StructField{Name: field.Name, Type: field.Type, Tag: field.Tag})
			variables[field.Name] = name
		} else if field.Type.Kind() == reflect.Struct {
			problems = append(problems, parse(value, vars)...)
		}
	}
	problems = append(problems, readFiles(vars, variables)...)
	flat := reflect.New(reflect.StructOf(own))
	if err := env.ParseWithOptions(flat.Interface(), env.Options{Environment: vars}); err != nil {
		all, ok := errors.AsType[env.AggregateError](err)
		if !ok {
			return append(problems, err.Error())
		}
		for _, err := range all.Errors {
			problems = append(problems, describe(err, variables, vars))
		}
	}
	for _, field := range own {
		into.FieldByName(field.Name).Set(flat.Elem().FieldByName(field.Name))
	}
	return problems
}

// readFiles sets NAME from NAME_FILE for each variable of a struct.
func readFiles(vars, variables map[string]string) (problems []string) {
	for _, name := range variables {
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
	return problems
}

// describe names the variable, as the library's error does not, and shows its value unless that may hold a password.
func describe(err error, variables, vars map[string]string) string {
	bad, ok := errors.AsType[env.ParseError](err)
	if !ok {
		return err.Error()
	}
	name := variables[bad.Name]
	if strings.HasSuffix(name, "_URL") || strings.HasSuffix(name, "_PASSWORD") {
		return fmt.Sprintf("%s: %v", name, bad.Err)
	}
	return fmt.Sprintf("%s=%q: %v", name, vars[name], bad.Err)
}
