// Validates documents of images against the JSON Schemas of image-spec.
//
//	validate FOLDER
//
// The folder holds files whose names begin with what they are: `manifest-…`, `index-…`, `config-…`
// and `layout-…`.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/image-spec/schema"
)

var validators = map[string]schema.Validator{
	"manifest": schema.ValidatorMediaTypeManifest,
	"index":    schema.ValidatorMediaTypeImageIndex,
	"config":   schema.ValidatorMediaTypeImageConfig,
	"layout":   schema.ValidatorMediaTypeLayoutHeader,
}

func main() {
	files, err := filepath.Glob(filepath.Join(os.Args[1], "*-*"))
	if err != nil || len(files) == 0 {
		fmt.Fprintln(os.Stderr, "there is nothing to validate", err)
		os.Exit(1)
	}
	wrong := 0
	for _, file := range files {
		kind, _, _ := strings.Cut(filepath.Base(file), "-")
		text, err := os.ReadFile(file)
		if err == nil {
			err = validators[kind].Validate(bytes.NewReader(text))
		}
		if err != nil {
			wrong++
			fmt.Fprintf(os.Stderr, "%s: %v\n%s\n", file, err, text)
		}
	}
	fmt.Printf("%d valid, %d not\n", len(files)-wrong, wrong)
	if wrong > 0 {
		os.Exit(1)
	}
}
