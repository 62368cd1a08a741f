package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"petvote/shared/config"
)

// staticPath is where [AssetSet.Register] mounts the files.
const staticPath = "/static/"

// contentTypes lists all types that may be served. The mime package won't do: it also reads the machine's own tables,
// and browsers refuse a module with another type than JavaScript's.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// AssetSet serves a fixed set of static files under /static/<version>/<name>, where the version is a hash of all of
// them. A relative name in a stylesheet or module ("./theme.js") therefore leads to the same version.
type AssetSet struct {
	Base    string // the path before every address
	version string
	files   map[string]asset
}

type asset struct {
	body        []byte
	contentType string
	etag        string // weak, since the same file is sent compressed or not
}

// Assets reads the shared static files and those of a page, whatever folders they are in, into one set. The files are
// embedded, so it panics on a name that occurs twice and on a type that is not in the list.
func Assets(own fs.FS, base config.BasePath) *AssetSet {
	a := &AssetSet{Base: string(base), files: map[string]asset{}}
	for _, fsys := range []fs.FS{shared, own} {
		if err := a.read(fsys); err != nil {
			panic(fmt.Errorf("read static files: %w", err))
		}
	}
	all := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(a.files)) {
		fmt.Fprintf(all, "%s %s\n", name, a.files[name].etag)
	}
	a.version = shortHex(all.Sum(nil))
	return a
}

func (a *AssetSet) read(fsys fs.FS) error {
	return fs.WalkDir(fsys, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := path.Base(file)
		contentType, ok := contentTypes[path.Ext(name)]
		if !ok {
			return fmt.Errorf("%s: no content type for this extension", file)
		}
		if _, twice := a.files[name]; twice {
			return fmt.Errorf("%s: the name occurs twice", file)
		}
		body, err := fs.ReadFile(fsys, file)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		a.files[name] = asset{body: body, contentType: contentType, etag: `W/"` + shortHex(sum[:]) + `"`}
		return nil
	})
}

// Register mounts the files, and the site's icon for browsers that request it unasked.
func (a *AssetSet) Register(mux *http.ServeMux) {
	mux.Handle("GET "+staticPath, a)
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) {
		a.serve(w, r, "icon.svg", "public, max-age=86400")
	})
}

// URL returns the path of a file, including the version. The templates' tests look for every name.
func (a *AssetSet) URL(name string) string { return a.Base + staticPath + a.version + "/" + name }

// ServeHTTP answers with the file. Under the set's own version it may be cached for ever. During an upgrade, pages of
// another release ask for another version: they get the file too, but must revalidate it.
func (a *AssetSet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	version, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, staticPath), "/")
	cacheControl := "no-cache"
	if version == a.version {
		cacheControl = "public, max-age=31536000, immutable"
	}
	a.serve(w, r, name, cacheControl)
}

func (a *AssetSet) serve(w http.ResponseWriter, r *http.Request, name, cacheControl string) {
	file, ok := a.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", file.contentType)
	w.Header().Set("Cache-Control", cacheControl)
	w.Header().Set("ETag", file.etag)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(file.body))
}

func shortHex(sum []byte) string { return hex.EncodeToString(sum[:8]) }
