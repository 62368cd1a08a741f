package main
import "fmt"
func (r *record) write(string) error { return nil }
func (r *record) String() string { s:="";for _,o:=range r.Scenarios{ s+=o.line()+"\n"; for _,f:=range o.Failures {s+="    "+f+"\n"} }; return s }
func f(p *float64) string { if p==nil {return "-"}; return fmt.Sprintf("%.2f",*p)}
func (o *outcome) line() string { s:= fmt.Sprintf("%-20s passed=%v acc=%d ref=%d unk=%d lost=%d twice=%d max=%.2f", o.Name,o.Passed,o.Proof.Accepted,o.Proof.Refused,o.Proof.Unknown,o.Proof.Lost,o.Proof.CountedTwice,o.Latency.Max); for _,w:=range o.Wounds { s+=fmt.Sprintf("\n      %-28s %5.1f-%5.1f first=%s share=%.2f gap=%.2f again=%s drained=%s current=%s",w.Fault,w.From,w.To,f(w.FirstRefusal),w.RefusedShare,w.LongestGap,f(w.AcceptedAgain),f(w.Drained),f(w.Current))}; return s}
