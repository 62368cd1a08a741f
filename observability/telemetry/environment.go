package telemetry

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// environment holds the settings of the standard variables
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/). The SDK and the exporter read
// the variables about resource, batches, limits and OTLP themselves.
type environment struct {
	exporter    string  // "otlp", "console", or "" to export nothing
	share       float64 // of traces to sample, 0 to 1
	parentBased bool    // a parent's decision is taken over
	propagator  propagation.TextMapPropagator
	problems    []string // variables that are not obeyed, with the reason
	// corrected has the variables whose values the SDK must not read, since it ignores them in silence, complains time
	// and again, or panics; empty for the default.
	corrected map[string]string
}

// readEnvironment takes variables in the form of [os.Environ]. No value is an error: telemetry never stops a service.
func readEnvironment(environ []string) environment {
	e := environment{share: 1, parentBased: true, propagator: propagation.TraceContext{}, corrected: map[string]string{}}
	vars := map[string]string{}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		if value = strings.TrimSpace(value); strings.HasPrefix(name, "OTEL_") && value != "" {
			vars[name] = value
			e.checkKind(name, value)
		}
	}
	e.readExporter(vars)
	e.readSampler(vars)
	e.readPropagators(vars["OTEL_PROPAGATORS"])
	e.readAttributes(vars["OTEL_RESOURCE_ATTRIBUTES"])
	slices.Sort(e.problems)
	return e
}

// sampler takes over a parent's decision only if the parent can be trusted to make it and the variables want that.
func (e environment) sampler(trusted bool) sdktrace.Sampler {
	root := sdktrace.TraceIDRatioBased(e.share) // decides by the trace's id, as the pages do
	switch {
	case e.exporter == "":
		return sdktrace.NeverSample()
	case !e.parentBased:
		return root
	case trusted:
		return sdktrace.ParentBased(root)
	default:
		return sdktrace.ParentBased(root, sdktrace.WithRemoteParentSampled(root))
	}
}

func (e *environment) problem(name, value, reason string) {
	e.problems = append(e.problems, fmt.Sprintf("%s=%q: %s", name, value, reason))
}

func (e *environment) readExporter(vars map[string]string) {
	const disabled, exporter = "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"
	endpoint := firstOf(vars, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	if vars[endpoint] != "" {
		e.exporter = "otlp"
	}
	switch wanted := strings.ToLower(vars[exporter]); wanted {
	case "":
	case "otlp", "console":
		e.exporter = wanted
	case "none":
		e.exporter = ""
	default:
		e.problem(exporter, vars[exporter], "not one of otlp, console and none")
	}
	if strings.EqualFold(vars[disabled], "true") {
		e.exporter = ""
	}
	if e.exporter != "otlp" {
		return
	}
	protocol := firstOf(vars, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
	if vars[protocol] != "" && vars[protocol] != "http/protobuf" {
		e.problem(protocol, vars[protocol], "traces are sent by http/protobuf, which collectors take at port 4318")
	}
	if u, err := url.Parse(vars[endpoint]); vars[endpoint] != "" &&
		(err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		e.problem(endpoint, vars[endpoint], "not an address like http://collector:4318; nothing is exported")
		e.exporter = ""
	}
}

func (e *environment) readSampler(vars map[string]string) {
	const sampler, argument = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
	name, parentBased := strings.CutPrefix(strings.ToLower(vars[sampler]), "parentbased_")
	switch name {
	case "":
		return
	case "always_on":
	case "always_off":
		e.share = 0
	case "traceidratio":
		share, err := strconv.ParseFloat(cmp.Or(vars[argument], "1"), 64)
		if err != nil || !(share >= 0 && share <= 1) {
			e.problem(argument, vars[argument], "not a share from 0 to 1; all traces are sampled")
			share, e.corrected[argument] = 1, ""
		}
		e.share = share
	default:
		e.problem(sampler, vars[sampler], "not supported; all traces are sampled")
		e.corrected[sampler] = "" // the SDK reads it again for each provider
		return
	}
	e.parentBased = parentBased
}

// readPropagators leaves baggage out: nothing here uses it, and strangers send it.
func (e *environment) readPropagators(value string) {
	if value == "" {
		return
	}
	var names []string
	for name := range strings.SplitSeq(strings.ToLower(value), ",") {
		if name = strings.TrimSpace(name); name != "" && name != "baggage" {
			names = append(names, name)
		}
	}
	propagator, err := autoprop.TextMapPropagator(names...)
	if err != nil {
		e.problem("OTEL_PROPAGATORS", value, err.Error())
	}
	if propagator != nil {
		e.propagator = propagator
	}
}

// readAttributes keeps the members that are well-formed.
func (e *environment) readAttributes(value string) {
	const variable = "OTEL_RESOURCE_ATTRIBUTES"
	var good, bad []string
	for member := range strings.SplitSeq(value, ",") {
		key, text, ok := strings.Cut(member, "=")
		_, err := url.PathUnescape(text)
		if ok = ok && err == nil && strings.TrimSpace(key) != ""; ok {
			good = append(good, member)
		} else if value != "" {
			bad = append(bad, member)
		}
	}
	if len(bad) > 0 {
		e.problem(variable, value, fmt.Sprintf("not of the form key=value,…: left out %q", bad))
		e.corrected[variable] = strings.Join(good, ",")
	}
}

// firstOf returns the first of the names that is set, or else the last.
func firstOf(vars map[string]string, names ...string) string {
	for _, name := range names {
		if vars[name] != "" {
			return name
		}
	}
	return names[len(names)-1]
}

// obeyed are the variables that the SDK, the exporter or this package heeds; a name that ends in "_" is a prefix.
var obeyed = []string{
	"OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_PROPAGATORS",
	"OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_METRICS_EXEMPLAR_FILTER",
	"OTEL_BSP_", "OTEL_SPAN_", "OTEL_EVENT_", "OTEL_LINK_", "OTEL_ATTRIBUTE_", "OTEL_EXPORTER_OTLP_",
	"OTEL_GO_", "OTEL_SEMCONV_STABILITY_OPT_IN",
}

// served are the variables of which only these values describe what the services do.
var served = map[string][]string{
	"OTEL_METRICS_EXPORTER": {"prometheus"}, // at the ops port
	"OTEL_LOGS_EXPORTER":    {"none", "console"},
}

// checkKind looks for variables that nothing heeds, and for values that the SDK would ignore in silence.
func (e *environment) checkKind(name, value string) {
	if values, ok := served[name]; ok {
		if !slices.Contains(values, strings.ToLower(value)) {
			e.problem(name, value, "not supported; metrics are served to Prometheus and logs written to standard output")
		}
		return
	}
	other := strings.HasPrefix(name, "OTEL_EXPORTER_OTLP_METRICS_") || strings.HasPrefix(name, "OTEL_EXPORTER_OTLP_LOGS_")
	if other || !slices.ContainsFunc(obeyed, func(known string) bool {
		return name == known || strings.HasSuffix(known, "_") && strings.HasPrefix(name, known)
	}) {
		e.problem(name, value, "not supported")
		return
	}
	bad := false
	switch name[strings.LastIndexByte(name, '_')+1:] {
	case "DISABLED", "INSECURE":
		bad = !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false")
	case "DELAY", "TIMEOUT":
		_, err := strconv.ParseUint(value, 10, 31) // ms
		bad = err != nil
	case "SIZE":
		n, err := strconv.ParseUint(value, 10, 20) // spans, for which the SDK allocates memory at once
		bad = err != nil || n == 0
	case "LIMIT":
		_, err := strconv.ParseInt(value, 10, 32) // negative: none
		bad = err != nil
	case "COMPRESSION":
		bad = value != "gzip" && value != "none"
	}
	if bad {
		e.problem(name, value, "not understood; the default holds")
		e.corrected[name] = ""
	}
}
