import{b as e}from"./chunk-MZ4BFEK3.js";import{ea as o,ga as r}from"./chunk-IV5CBUIN.js";function f(){return e.value.refused?null:o(r,{})}export{f as a};
